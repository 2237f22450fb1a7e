"""What can go wrong between the host and an HTTP server; callers name the server and map it.

HttpError                 a `ConnectionError`: the exchange failed
├── NotSentError          nothing was written: the request was certainly not carried out
└── NoAnswerError         written, and no byte came back: nobody knows whether it was carried out
"""


class HttpError(ConnectionError):
    """An exchange over HTTP failed."""


class NotSentError(HttpError):
    """The request never left."""


class NoAnswerError(HttpError):
    """The connection ended after the request was written and before any byte of an answer."""
