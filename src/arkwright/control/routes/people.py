"""/people: who may come to the console, and what they hold."""

from typing import Annotated

import msgspec
from litestar import delete, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter

from arkwright.control import console_sessions, people, personal_tokens
from arkwright.control.people import NewPassword, PersonFields, PersonSpec, PersonView
from arkwright.control.personal_tokens import TokenSpec
from arkwright.control.routes.call import LIMIT, After, Call, Limit
from arkwright.control.session import Page
from arkwright.domain.people import Membership
from arkwright.store.console_sessions import ConsoleSession
from arkwright.store.people import PersonalToken


class NewPerson(msgspec.Struct, frozen=True, kw_only=True):
    """`password` is there when it was generated; it is told this once."""

    person: PersonView
    password: str | None


class PersonDetail(msgspec.Struct, frozen=True, kw_only=True):
    person: PersonView
    memberships: tuple[Membership, ...]


class NewToken(msgspec.Struct, frozen=True, kw_only=True):
    """`secret` is told this once."""

    token: PersonalToken
    secret: str | None


class Sessions(msgspec.Struct, frozen=True, kw_only=True):
    data: list[ConsoleSession]


@get("/people")
async def list_people(
    call: Call,
    search: Annotated[str, QueryParameter(description="What the login begins with.", max_length=120)] = "",
    after: After = "",
    limit: Limit = LIMIT,
) -> Page[PersonView]:
    """In the order of logins."""
    async with call.reading() as connection:
        return await people.listing(connection, search, after, limit)


@post("/people")
async def create_person(call: Call, data: JSONBody[PersonSpec]) -> NewPerson:
    """Somebody with a role on the platform, or with none yet."""
    async with call.changing() as session:
        change = await people.create(session, data)
        made = await people.get(session.connection, data.login)
        return NewPerson(person=people.view(made), password=change.secret)


@get("/people/{login:str}")
async def get_person(call: Call, login: FromPath[str]) -> PersonDetail:
    async with call.reading() as connection:
        person = await people.get(connection, login)
        return PersonDetail(person=people.view(person), memberships=await people.memberships(connection, person.id))


@patch("/people/{login:str}")
async def update_person(call: Call, login: FromPath[str], data: JSONBody[PersonFields]) -> PersonView:
    """Disabling a person ends their sessions and tokens; the last operator stays."""
    async with call.changing() as session:
        await people.update(session, login, data)
        return people.view(await people.get(session.connection, login))


@post("/people/{login:str}/password", status_code=200)
async def reset_password(call: Call, login: FromPath[str]) -> NewPassword:
    """A new password, told this once; ends the person's sessions."""
    async with call.changing() as session:
        return await people.reset_password(session, login)


@get("/people/{login:str}/sessions")
async def list_sessions(call: Call, login: FromPath[str]) -> Sessions:
    """Where the person is signed in to the console; the one seen last first."""
    async with call.reading() as connection:
        return Sessions(data=await console_sessions.listing(connection, await people.get(connection, login)))


@delete("/people/{login:str}/sessions")
async def end_sessions(call: Call, login: FromPath[str]) -> None:
    """Sign the person out everywhere."""
    async with call.changing() as session:
        await console_sessions.revoke_all(session, await people.get(session.connection, login))


@delete("/people/{login:str}/sessions/{session_id:str}")
async def end_session(call: Call, login: FromPath[str], session_id: FromPath[str]) -> None:
    async with call.changing() as session:
        await console_sessions.revoke(session, await people.get(session.connection, login), session_id)


@get("/people/{login:str}/tokens")
async def list_tokens(call: Call, login: FromPath[str], after: After = "", limit: Limit = LIMIT) -> Page[PersonalToken]:
    """What reads the console as this person."""
    async with call.reading() as connection:
        return await personal_tokens.listing(connection, await people.get(connection, login), after, limit)


@post("/people/{login:str}/tokens")
async def create_token(call: Call, login: FromPath[str], data: JSONBody[TokenSpec]) -> NewToken:
    async with call.changing() as session:
        person = await people.get(session.connection, login)
        change = await personal_tokens.create(session, person, data)
        return NewToken(token=await personal_tokens.get(session.connection, person, change.id), secret=change.secret)


@delete("/people/{login:str}/tokens/{token_id:str}")
async def revoke_token(call: Call, login: FromPath[str], token_id: FromPath[str]) -> None:
    async with call.changing() as session:
        await personal_tokens.revoke(session, await people.get(session.connection, login), token_id)


ROUTES = [
    list_people,
    create_person,
    get_person,
    update_person,
    reset_password,
    list_sessions,
    end_sessions,
    end_session,
    list_tokens,
    create_token,
    revoke_token,
]
