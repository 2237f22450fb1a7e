"""The file that the host executes with `python -I -S`: finds the package and becomes the keeper."""

import sys

if __name__ == "__main__":
    sys.path.insert(0, sys.argv[2])
    from host.sandbox.process.zygote import main

    main(int(sys.argv[1]))
