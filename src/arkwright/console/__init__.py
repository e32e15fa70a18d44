"""Server-rendered pages under /console, for people. Knows nothing about SQL, nor how requests are served or charged.

`arkwright.console.routes.routes(platform)` is what the control process mounts.
"""
