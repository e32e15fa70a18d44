"""The words for roles and states that several screens of people show."""

from arkwright.console.words import _

ROLES = {
    "": _("none"),
    "operator": _("operator"),
    "admin": _("administrator"),
    "member": _("member"),
    "billing": _("billing"),
    "auditor": _("auditor"),
}
MEANS = {"password": _("password"), "invitation": _("invitation"), "oidc": _("an account elsewhere")}
CLASSES = {"external": _("external customer"), "internal": _("own business"), "test": _("test")}
BILLING = {"prepaid": _("prepaid"), "postpaid": _("postpaid")}
INVITATIONS = {"open": _("open"), "used": _("used"), "revoked": _("revoked"), "ended": _("ended")}
