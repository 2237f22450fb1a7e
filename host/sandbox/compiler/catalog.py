"""Which modules a plugin may import and which names of them: an allow-list, never a raw module.

A raw module's own imports lead everywhere (`json.codecs.sys`), so a plugin holds a `Facade` with
the
names below and nothing else. A name is in `PLAIN` when the library's own object is safe to hold and
`facades.NAME.members` replaces or adds those that are not.
"""

import ast
import codecs
import contextlib
import encodings.aliases
import importlib
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from host.sandbox.compiler.caches import as_given, settle, start_anew

if TYPE_CHECKING:
    from host.sandbox.compiler.guards import Guards

_FACADES = "host.sandbox.compiler.facades"

PLAIN: dict[str, str] = {
    "abc": "ABC",
    "base64": """
        b64encode b64decode urlsafe_b64encode urlsafe_b64decode standard_b64encode
        standard_b64decode b32encode b32decode b32hexencode b32hexdecode b16encode b16decode
        a85encode a85decode b85encode b85decode encodebytes decodebytes z85encode z85decode""",
    "bisect": "bisect bisect_left bisect_right insort insort_left insort_right",
    "collections": "Counter OrderedDict defaultdict deque",
    "collections.abc": """
        AsyncGenerator AsyncIterable AsyncIterator Awaitable Buffer ByteString Callable Collection
        Container Coroutine Generator Hashable ItemsView Iterable Iterator KeysView Mapping
        MappingView MutableMapping MutableSequence MutableSet Reversible Sequence Set Sized
        ValuesView""",
    "contextlib": """
        suppress nullcontext closing aclosing AbstractContextManager AbstractAsyncContextManager""",
    "copy": "Error",
    "dataclasses": "fields is_dataclass FrozenInstanceError InitVar KW_ONLY MISSING",
    "datetime": "date datetime time timedelta timezone tzinfo MINYEAR MAXYEAR UTC",
    "decimal": """
        Decimal Context getcontext setcontext localcontext ROUND_CEILING ROUND_DOWN ROUND_FLOOR
        ROUND_HALF_DOWN ROUND_HALF_EVEN ROUND_HALF_UP ROUND_UP ROUND_05UP MAX_PREC MAX_EMAX
        MIN_EMIN DecimalTuple DecimalException Clamped InvalidOperation DivisionByZero Inexact
        Rounded Subnormal Overflow Underflow FloatOperation DivisionImpossible DivisionUndefined
        ConversionSyntax InvalidContext""",
    "enum": """
        auto unique verify member nonmember property EnumCheck CONTINUOUS NAMED_FLAGS UNIQUE
        FlagBoundary STRICT CONFORM EJECT KEEP""",
    "fractions": "Fraction",
    "functools": "reduce cmp_to_key partial partialmethod",
    "hashlib": """
        md5 sha1 sha224 sha256 sha384 sha512 sha3_224 sha3_256 sha3_384 sha3_512 shake_128 shake_256
        blake2b blake2s new pbkdf2_hmac scrypt""",
    "heapq": "heappush heappop heapify heappushpop heapreplace merge nlargest nsmallest",
    "html": "escape unescape",
    "itertools": """
        accumulate batched chain combinations combinations_with_replacement compress count cycle
        dropwhile filterfalse groupby islice pairwise permutations product repeat starmap
        takewhile tee zip_longest""",
    "json": "dumps loads JSONEncoder JSONDecodeError",
    "math": """
        acos acosh asin asinh atan atan2 atanh cbrt ceil comb copysign cos cosh degrees dist e erf
        erfc exp exp2 expm1 fabs factorial floor fma fmod frexp fsum gamma gcd hypot inf isclose
        isfinite isinf isnan isqrt lcm ldexp lgamma log log10 log1p log2 modf nan nextafter perm
        pi pow prod radians remainder sin sinh sqrt sumprod tan tanh tau trunc ulp""",
    "numbers": "Number Complex Real Rational Integral",
    "operator": """
        abs add and_ call concat contains countOf delitem eq floordiv ge getitem gt iadd iand
        iconcat ifloordiv ilshift imatmul imod imul index indexOf inv invert ior ipow irshift
        is_ is_not isub itemgetter itruediv ixor le length_hint lshift lt matmul mod mul ne neg
        not_ or_ pos pow rshift setitem sub truediv truth xor""",
    "random": "Random",
    "re": """
        compile match fullmatch search sub subn findall finditer split escape Pattern Match error
        PatternError RegexFlag A ASCII I IGNORECASE L LOCALE M MULTILINE S DOTALL U UNICODE X
        VERBOSE NOFLAG""",
    "statistics": "StatisticsError NormalDist",
    "string": """
        ascii_letters ascii_lowercase ascii_uppercase digits hexdigits octdigits printable
        punctuation whitespace capwords Template""",
    "textwrap": "wrap fill shorten dedent indent TextWrapper",
    "time": """
        time time_ns monotonic monotonic_ns perf_counter perf_counter_ns process_time
        process_time_ns gmtime localtime mktime ctime asctime strftime strptime struct_time timezone
        altzone daylight tzname""",
    "types": "SimpleNamespace MappingProxyType NoneType",
    "typing": """
        Any AnyStr AsyncContextManager Awaitable BinaryIO Callable ClassVar Collection Concatenate
        Container ContextManager Coroutine DefaultDict Deque Dict Final FrozenSet Generator Generic
        Hashable IO ItemsView Iterable Iterator KeysView List Literal LiteralString Mapping
        MutableMapping Match MutableSequence MutableSet Never NewType NoReturn NotRequired Optional
        OrderedDict ParamSpec Pattern Protocol ReadOnly Required Reversible Self Sequence Set Sized
        SupportsAbs SupportsFloat SupportsIndex SupportsInt SupportsRound TYPE_CHECKING Text TextIO
        Tuple Type TypeAlias TypeGuard TypeIs TypeVar TypeVarTuple TypedDict Union Unpack ValuesView
        AsyncIterator AsyncIterable AsyncGenerator assert_never assert_type cast is_typeddict""",
    "urllib": "",
    "urllib.parse": """
        quote quote_plus quote_from_bytes unquote unquote_plus unquote_to_bytes urlencode parse_qs
        parse_qsl urlparse urlsplit urlunparse urlunsplit urljoin urldefrag ParseResult
        SplitResult DefragResult""",
    "uuid": "UUID uuid3 uuid4 uuid5 SafeUUID NAMESPACE_DNS NAMESPACE_URL NAMESPACE_OID NAMESPACE_X500",  # noqa: E501  # one name list or message
}
"""Module to the names whose library object is handed out as it is."""

MADE: dict[str, str] = {
    "abc": "ABCMeta abstractmethod",
    "collections": "namedtuple ChainMap UserDict UserList UserString",
    "contextlib": """
        contextmanager asynccontextmanager ContextDecorator AsyncContextDecorator ExitStack
        AsyncExitStack""",
    "copy": "copy deepcopy replace",
    "dataclasses": "dataclass field make_dataclass asdict astuple replace",
    "decimal": "BasicContext ExtendedContext DefaultContext",
    "enum": "Enum IntEnum StrEnum Flag IntFlag EnumType EnumMeta",
    "functools": """
        cached_property lru_cache cache wraps update_wrapper total_ordering singledispatch
        singledispatchmethod""",
    "hashlib": "algorithms_available algorithms_guaranteed",
    "json": "JSONDecoder",
    "operator": "attrgetter methodcaller",
    "random": """
        random uniform triangular randint randrange choice choices sample shuffle gauss
        normalvariate expovariate betavariate gammavariate lognormvariate paretovariate
        vonmisesvariate weibullvariate getrandbits randbytes seed
        getstate setstate""",
    "statistics": """
        mean fmean geometric_mean harmonic_mean median median_low median_high median_grouped mode
        multimode quantiles stdev pstdev variance pvariance correlation covariance
        linear_regression""",
    "string": "Formatter",
    "typing": """
        Annotated NamedTuple final overload override runtime_checkable get_type_hints get_origin
        get_args""",
}
"""Module to the names that `facades` makes for each plugin."""


@cache
def module_names() -> frozenset[str]:
    """Return every module that a plugin may import."""
    return frozenset(PLAIN)


@cache
def members_of(module: str) -> frozenset[str]:
    """Return the names of a module that a plugin may use, on this version of Python."""
    real = importlib.import_module(module)
    plain = {name for name in PLAIN[module].split() if hasattr(real, name)}
    children = {name.rpartition(".")[2] for name in PLAIN if name.rpartition(".")[0] == module}
    return frozenset(plain | set(MADE.get(module, "").split()) | children)


def public_members(module: str) -> list[str]:
    """Return the names that `from module import *` binds."""
    listed = getattr(importlib.import_module(module), "__all__", None)
    known = members_of(module)
    return sorted(known if listed is None else known & set(listed))


def members(module: str, guards: "Guards") -> Mapping[str, Any]:
    """Return the objects that a plugin's facade of a module holds."""
    real = _settled(module)
    start_anew(module)
    plain = [name for name in PLAIN[module].split() if hasattr(real, name)]
    found = {name: as_given(module, getattr(real, name)) for name in plain}
    if module in MADE:
        maker = importlib.import_module(_maker_of(module))
        make: Callable[[Guards], Mapping[str, Any]] = maker.members
        found.update(make(guards))
    return found


def _maker_of(module: str) -> str:
    return f"{_FACADES}.made_{module.replace('.', '_')}"


def _settled(module: str) -> ModuleType:
    """Return a library module in which nothing that plugins share is still to be made."""
    real = importlib.import_module(module)
    settle(module)
    if module == "string":
        real.Template("").substitute()  # Python 3.14 writes a pattern into the class at first use
    return real


_UNALIASED = [
    "utf_8_sig",
    "cp720",
    "cp737",
    "cp856",
    "cp874",
    "cp875",
    "cp1006",
    "idna",
    "punycode",
]

"""Codecs of text that have no second name."""


def preload(modules: Iterable[str] = ()) -> None:
    """Import the library modules and the codecs of text, before a worker closes itself off.

    Args:
        modules: Their names; all when empty.
    """
    for module in modules or PLAIN:
        _settled(module)
        if module in MADE:
            importlib.import_module(_maker_of(module))
    importlib.import_module("_strptime")
    ast.unparse(ast.Name("x"))  # from Python 3.14 on its code is imported at first use
    for codec in sorted({*encodings.aliases.aliases.values(), *_UNALIASED}):
        with contextlib.suppress(LookupError):  # those of another platform
            codecs.lookup(codec)
