"""A folder for each topic: its tasks, its errors, the programs that its tasks hand out.

No topic imports another.
"""
