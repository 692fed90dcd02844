"""`make site`: static pages of the lessons and of each error, and a box that explains a traceback.

Its configuration, style and scripts are in `site/`; what is built goes to `site/build/html`.
"""
