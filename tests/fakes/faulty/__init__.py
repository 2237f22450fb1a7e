"""A tool server that misbehaves as it is told, for the tests of faults.

    python -m tests.fakes.faulty --stdio | --http PORT      # --http prints its URL; 0 = free port
        --tools N        lists N tools more (`bulk_0` …)
        --start WHAT     what happens to the first request: `hang`, `die`, `garbage`, `slow:SECONDS`
        --list WHAT      what happens to `tools/list`: `hang`, `die`, `garbage`, `slow:SECONDS`

It speaks the handshake and the stateless revision, without an SDK, so that it can break every rule.
Its tools, each named for what a call of it does:

* `echo(text)` answers; `pid()` answers with its process id; `counts()` with the calls by tool
* `hang()` never answers; `slow(seconds)` answers late; `cancelled()` counts cancelled calls
* `die()` ends the process in the middle of the call; `drop()` closes the stream or pipe instead
* `garbage()` writes what is no JSON, then answers; `only_garbage()` does not answer
* `huge(bytes)` answers with that many bytes (100 MB by default)
* `wrong_id()` answers another request than the one it got; `twice()` answers two times
* `bad_result()` answers with a result that is no object; `error()` with a JSON-RPC error
* `flood(count)` sends that many log messages first
* `ask(count)` asks the client that many questions at once and answers how many were accepted
* `spawn()` starts a child that sleeps and answers with its process id
"""
