"""Behind ``dashboard``: what is new in a database (``feed``), served over HTTP (``app``).

``paces`` knows how fast models end, ``worker_logs`` what workers logged, ``access`` who may ask.
"""
