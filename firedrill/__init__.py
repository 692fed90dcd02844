"""The helper package of the asyncpg fire drills: it starts servers, breaks them, looks at them
and checks exercises."""

__version__ = "0.1"
