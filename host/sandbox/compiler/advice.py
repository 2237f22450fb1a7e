"""The words of `check`: for each rejected name, why, and what to write instead."""

from collections.abc import Iterable

from host.domain.names import nearest_names

_FILES = "Files and terminals are outside the sandbox."
_CODE = "It would run code that was not checked."
_SCOPE = "It hands out the interpreter's own tables."

BUILTINS: dict[str, tuple[str, str]] = {
    "eval": (_CODE, "Use json.loads for data, or a dict of functions for a choice of actions."),
    "exec": (_CODE, "Define functions, and choose among them by a dict."),
    "compile": (_CODE, "Define functions, and choose among them by a dict."),
    "open": (_FILES, "Take the text as an argument, or call a file tool with host.call_tool."),
    "input": (_FILES, "Take the value as an argument of the tool."),
    "breakpoint": (_FILES, "Use host.log, or print."),
    "help": (_FILES, "Print what you want to know."),
    "exit": ("It would stop the worker.", "Return from the function, or raise an exception."),
    "quit": ("It would stop the worker.", "Return from the function, or raise an exception."),
    "globals": (_SCOPE, "Keep the values in a dict of your own."),
    "locals": (_SCOPE, "Keep the values in a dict of your own."),
    "memoryview": ("It gives raw access to memory.", "Slice the bytes."),
    "__import__": ("Modules are named in the source.", "Write `import NAME`."),
    "__builtins__": (_SCOPE, "Use the built-in functions by their names."),
}
"""Built-in names that a plugin does not have: (why, what to write instead)."""

MAKER = (
    "What makes objects, and what leaves contexts, is checked where it is defined.",
    "Write it as a function: `def __new__(cls, ...):`, `def __exit__(self, *details):`.",
)
"""About a `__new__` or `__exit__` that is bound in another way than by `def`."""

IN_CLASS = (
    "This special method is looked for where the class is made.",
    "Write it in the class body, or in a base class.",
)
"""About a special method that no class decorator can give a class, or that would be global."""

_ATTRIBUTES: dict[str, tuple[str, str]] = {
    "mro": ("It lists classes that are hidden from plugins.", "Use isinstance, or C.__mro__."),
    "fget": ("It takes a property apart.", "Read the property, or write super().NAME."),
    "fset": ("It takes a property apart.", "Assign to the property."),
    "fdel": ("It takes a property apart.", "Delete the property."),
    "__globals__": (_SCOPE, "Pass what the function needs as an argument."),
    "__code__": ("It is the function's byte code.", "Call the function."),
    "__closure__": ("It opens other functions' variables.", "Use nonlocal, or an object."),
    "__subclasses__": ("It lists every class of the interpreter.", "Keep a registry of your own."),
    "__traceback__": ("Tracebacks lead to frames.", "Use str(error) and error.__cause__."),
    "__reduce__": ("Copying and pickling trust it.", "Define __copy__ or __deepcopy__."),
    "__reduce_ex__": ("Copying and pickling trust it.", "Define __copy__ or __deepcopy__."),
    "__getattribute__": ("An object could lie about itself.", "Define __getattr__ or a property."),
    "__del__": ("It runs at unforeseeable moments.", "Use a context manager: __enter__, __exit__."),
    "__instancecheck__": ("A class could lie about its instances.", "Use a base class."),
    "__subclasshook__": ("A class could lie about its subclasses.", "Use a base class."),
}

_MODULES: dict[str, str] = {
    "os": "Take the value as an argument; for paths, call a file tool with host.call_tool.",
    "sys": "Return a value or raise an exception; the interpreter is not yours to change.",
    "pathlib": "Use str methods on the path, or call a file tool with host.call_tool.",
    "io": "Join strings, or collect lines in a list.",
    "subprocess": "Call a tool with host.call_tool.",
    "socket": "Call a network tool with host.call_tool.",
    "requests": "Call a fetch tool with host.call_tool.",
    "httpx": "Call a fetch tool with host.call_tool.",
    "urllib.request": "Call a fetch tool with host.call_tool.",
    "asyncio": "Write `async def` and `await`; the worker runs the loop.",
    "threading": "Call tools one after the other; the worker has one thread.",
    "pickle": "Use json.",
    "secrets": "Use uuid.uuid4().hex, or random.",
    "inspect": "Plugins cannot look into frames; pass the values on.",
    "logging": "Use host.log, or print.",
    "csv": "Split lines with str.split(','); for quoted fields, re.findall.",
    "calendar": "Use datetime.",
    "zoneinfo": "Use datetime.timezone(datetime.timedelta(hours=...)).",
    "difflib": "Compare with zip, or collections.Counter.",
    "unicodedata": "Use str.casefold, str.isalpha and str.encode('ascii', 'ignore').",
    "numpy": "Use statistics, math and lists.",
    "pandas": "Use lists of dicts, collections.Counter and statistics.",
    "pydantic": "Use dataclasses.",
}


def about_builtin(name: str) -> tuple[str, str]:
    """Return why a built-in name is missing, and what to write instead."""
    return BUILTINS.get(name, (_SCOPE, "Use another name."))


def about_attribute(name: str) -> tuple[str, str]:
    """Return why an attribute may not be read or written, and what to write instead."""
    if name in _ATTRIBUTES:
        return _ATTRIBUTES[name]
    if name.startswith("__"):
        return (
            "This special name is the interpreter's own.",
            "Use the built-in function or operator that stands for it, or another name.",
        )
    return (
        "It opens frames, generators or code objects, which lead out of the sandbox.",
        "Use another name; keep what you need in a variable.",
    )


def about_module(name: str, available: Iterable[str]) -> tuple[str, str]:
    """Return why a module cannot be imported, and what to write instead."""
    advice = _MODULES.get(name) or _MODULES.get(name.partition(".")[0])
    if advice is None:
        near = nearest_names(name, available)
        known = ", ".join(near) if near else ", ".join(sorted(available))
        advice = f"Available: {known}."
    return "Plugins import only modules that cannot reach out.", advice


def about_member(module: str, name: str, available: Iterable[str]) -> tuple[str, str]:
    """Return why a module has no such name here, and what to write instead."""
    near = nearest_names(name, available)
    hint = (
        f"Did you mean {', '.join(near)}?" if near else "See docs/sandbox-compiler.md for the list."
    )
    return f"Plugins see a part of {module}, without this name.", hint
