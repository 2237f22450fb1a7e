"""Plugins' two walls: the compiler that bounds what code can reach, the process that bounds all."""
