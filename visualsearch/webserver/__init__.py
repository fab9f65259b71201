"""The web server: gunicorn's processes, uvicorn's connections, and Django in threads that never touch the network.

An event loop reads a whole request before a thread sees it, and writes the answer after the thread is free again: a
slow client costs a connection and never a thread.

    connections.py  a client's connection: how many there may be, and how slow
    admission.py    how many requests wait for a thread, and how much of their bodies is kept
    bridge.py       ASGI to WSGI: the way of a request through a thread
    worker.py       gunicorn's worker that puts these together
    memory.py       what the C library does with memory that was freed
"""
