"""The dashboard: pages that show the shop and the pipeline, rendered on the server from the marts.

- :mod:`martline.dashboard.reading`: reads MySQL and the other servers, and keeps the marts until their next
build; - :mod:`martline.dashboard.charts`: one function for each chart, which notebooks can use too; -
:mod:`martline.dashboard.pages`: addresses, numbers and words of the pages; - :mod:`martline.dashboard.web`: the
HTTP server, its login and its headers.
"""
