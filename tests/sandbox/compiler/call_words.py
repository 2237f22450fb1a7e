"""The words of the programs that `call_grammar` writes."""

from importlib import import_module

from host.sandbox.compiler import allowed_modules

_ENDLESS = """
    factorial comb perm pow ipow lshift ilshift ldexp count cycle repeat product permutations
    combinations combinations_with_replacement scrypt pbkdf2_hmac imul mul imatmul concat iconcat
    prod sleep geometric_mean
"""
_UNEQUAL = """
    time random now today utcnow uuid hash id( localtime gmtime ctime Random choice shuffle
    sample getrandbits randbytes seed getstate dir
    _exit_callbacks
    __class__ __name__ __qualname__ __module__ __doc__
"""
ENDLESS = frozenset(_ENDLESS.split())
UNEQUAL = tuple(_UNEQUAL.split())
"""What answers differently every time it is asked."""
MEMBERS = {
    module: sorted(name for name in set(names) - ENDLESS if hasattr(import_module(module), name))
    for module, names in allowed_modules().items()
    if module not in ("time", "random", "urllib")
}
SHORT = {module: "m_" + module.replace(".", "_") for module in MEMBERS}
_FAVOURITES_TEXT = """
    contextlib.contextmanager contextlib.asynccontextmanager contextlib.ExitStack
    contextlib.AsyncExitStack contextlib.ContextDecorator functools.partial functools.wraps
    functools.partialmethod functools.lru_cache functools.cached_property functools.reduce
    functools.total_ordering functools.singledispatch functools.update_wrapper
    functools.singledispatchmethod functools.cmp_to_key operator.attrgetter
    operator.methodcaller operator.itemgetter collections.ChainMap collections.namedtuple
    collections.UserDict collections.UserList collections.UserString collections.defaultdict
    collections.Counter copy.copy copy.deepcopy dataclasses.dataclass
    dataclasses.field dataclasses.asdict dataclasses.make_dataclass dataclasses.replace
    dataclasses.fields enum.Enum enum.Flag enum.property enum.member json.dumps json.loads
    json.JSONEncoder json.JSONDecoder re.sub re.compile re.RegexFlag string.Template
    string.Formatter textwrap.TextWrapper typing.get_type_hints typing.NamedTuple
    typing.TypedDict typing.Annotated typing.runtime_checkable types.SimpleNamespace
    types.MappingProxyType decimal.Decimal decimal.localcontext fractions.Fraction uuid.UUID
    datetime.datetime datetime.timezone urllib.parse.urlsplit statistics.mean abc.ABC
    abc.abstractmethod heapq.nlargest itertools.accumulate itertools.starmap itertools.groupby
    itertools.tee urllib.parse.SplitResult numbers.Number
"""
FAVOURITES = _FAVOURITES_TEXT.split()
_BUILTINS_TEXT = """
    type isinstance issubclass getattr hasattr setattr delattr vars dir iter next map filter zip
    sorted min max sum any all enumerate reversed list tuple dict set frozenset str bytes int
    float complex bool repr format callable property classmethod staticmethod super object slice
    len round abs divmod range chr ord ascii bytearray anext aiter BaseException Exception
    AttributeError StopIteration ExceptionGroup KeyError TypeError print
"""
BUILTINS = _BUILTINS_TEXT.split()
_INSIDES_TEXT = """
    gi_frame tb_frame f_back __globals__ __code__ __class__ __dict__ __subclasses__ __init__
    __traceback__ __self__ __func__ __closure__ __builtins__ __module__ __mro__ __base__ obj
    fget format format_map mro __wrapped__ __getattribute__ __reduce_ex__ __get__ __context__
    __match_args__ __slots__ __annotations__ __annotate__ __set_name__ __new__ ag_frame cr_frame
"""
INSIDES = _INSIDES_TEXT.split()
_HOOKS_TEXT = """
    throw send athrow close aclose format format_map get_field get_value copy pop append update
    keys items get default object_hook write leaving _leaving _exit_callbacks _recreate_cm maps
    data func fget name value register dispatch parents new_child _missing_
    _generate_next_value_ _value_ tzname utcoffset dst pattern template args x _x __x total
    union encode decode
"""
HOOKS = _HOOKS_TEXT.split()
_OFTEN_TEXT = """
    init new exit enter aexit aenter eq hash get set set_name getattr setattr call iter next
    init_subclass class_getitem repr format getitem missing copy deepcopy contains index
"""
OFTEN = _OFTEN_TEXT.split()
_NAMED_TEXT = """
    key default maxsize initial func cls name default_factory metadata frozen slots order
    namespace bases tzinfo type object_hook start boundary sep file kw_only init match_args
"""
NAMED = _NAMED_TEXT.split()
_BASES_TEXT = """
    Exception str list dict int tuple property object AttributeError StopIteration set bytes
    m_contextlib.ExitStack m_contextlib.AsyncExitStack m_contextlib.ContextDecorator m_enum.Enum
    m_enum.Flag m_collections.ChainMap m_collections.UserList m_collections.UserString
    m_collections.UserDict m_collections.deque m_functools.partial m_functools.cached_property
    m_json.JSONEncoder m_json.JSONDecoder m_string.Formatter m_string.Template
    m_textwrap.TextWrapper m_decimal.Decimal m_fractions.Fraction m_datetime.tzinfo
    m_datetime.datetime m_typing.Protocol m_types.SimpleNamespace m_functools.partialmethod
    m_uuid.UUID m_collections_abc.Mapping m_collections_abc.Generator m_collections.Counter
    m_collections.OrderedDict K0 K1 K2
"""
BASES = _BASES_TEXT.split()
_CONSTANTS_TEXT = """
    0 1 -3 2.5 '' 'x' 'ab' b'ab' None True () [] {} [1,'x'] {'a':1} {1,2} '1' '{0.x}' '%s' '[1]'
    'gi_frame' '__globals__' '(a)' NotImplemented ... [0,K0] 'a.b' 0j slice(0,1)
"""
CONSTANTS = _CONSTANTS_TEXT.split()
PROPERTIES = {
    f"{SHORT[module]}.{kind}": names
    for module, kinds in MEMBERS.items()
    for kind in kinds
    if isinstance(holder := getattr(import_module(module), kind), type)
    and (names := [name for name, found in vars(holder).items() if isinstance(found, property)])
}
"""The properties of each of the library's classes, those that are written in Python."""
CLASSES = {
    f"{SHORT[module]}.{kind}": [name for name in vars(holder) if not name.startswith("_")]
    for module, kinds in MEMBERS.items()
    for kind in kinds
    if isinstance(holder := getattr(import_module(module), kind), type)
}
"""Every class of the library that a plugin can name, and what its namespace holds."""
