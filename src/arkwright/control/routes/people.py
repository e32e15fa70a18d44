"""/people/{login}"""

from litestar import post
from litestar.params import FromPath

from arkwright.control import people
from arkwright.control.people import NewPassword
from arkwright.control.routes.call import Call


@post("/people/{login:str}/password", status_code=200)
async def reset_password(call: Call, login: FromPath[str]) -> NewPassword:
    """A new password, told this once; ends the person's sessions."""
    async with call.changing() as session:
        return await people.reset_password(session, login)


ROUTES = [reset_password]
