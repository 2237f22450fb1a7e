"""A browser without a window: follows the redirects of an authorization URL and ends."""

import sys

import httpx


def main() -> int:
    """Fetch the URL on the command line; 0 when the last page of the redirects was served."""
    with httpx.Client(follow_redirects=True, timeout=20, trust_env=False) as browser:
        return int(browser.get(sys.argv[1]).is_error)


if __name__ == "__main__":
    sys.exit(main())
