"""Errors of the topic `testing`, raised live: one for each newer entry of the index."""

from __future__ import annotations

from firedrill import servers
from firedrill.checking.connections import admin

from . import raised_by


async def database_already_exists(stack: servers.Stack) -> BaseException:
    look = await admin(stack)
    error = await raised_by(look.execute("create database encore"))
    await look.close()
    return error


async def drop_of_the_open_database(stack: servers.Stack) -> BaseException:
    look = await admin(stack, "encore")
    error = await raised_by(look.execute("drop database encore"))
    await look.close()
    return error
