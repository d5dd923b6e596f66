"""The report: one HTML file that opens from disk, offline, and needs nothing beside it.

``page`` puts it together from what the other files make: ``statistics`` (what takes long),
``tables`` (for readers), ``packing`` and ``charts`` (for the browser). ``templates``
holds the HTML, ``static`` the style and the scripts, one idea a file, put into the page as they
are (``assets``). The dashboard's page shares the explorer with it.
"""
