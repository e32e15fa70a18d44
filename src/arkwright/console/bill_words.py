"""What "check this bill" says of each fault: the words of `domain/proof_check.py`, to be translated and shown.

Law: the English is what `arkwright audit verify` says, word for word (a test compares the two on broken files), so that
a customer who checks twice reads the same verdict twice. `{0}` stands for a value.
"""

from arkwright.console.words import _

FAULTS: dict[str, str] = {
    "at": _("Line {0},"),
    "file": _("the file"),
    "line": _("this line"),
    "key": _("the key"),
    "end": _("the end"),
    "root": _("root {0}"),
    "event": _("event {0}"),
    "after_end": _("it goes on after its end"),
    "not_utf8": _("it is not UTF-8"),
    "no_line": _("it is none that an export has"),
    "not_canonical": _("it is not written as an export writes it: something was put in or changed"),
    "no_head": _("it does not begin as an export does"),
    "no_end": _("it has no end: it was cut off, or its last lines were taken away"),
    "head_inside": _("an export begins here, inside another one"),
    "other_key": _("the file says that {0} signed; it is checked with {1}"),
    "version": _("it is of version {0}; this program knows {1}"),
    "signature": _("its signature does not hold under this key: it was edited, or another key signed it"),
    "first_day": _("the export says that it begins with {0}"),
    "gap": _("it follows root {0}: what was between them is not there"),
    "chain": _("it does not follow from root {0} as that stands here"),
    "day_open": _("its day begins before the roots of {0} are complete"),
    "part_owner": _("its part is of {0}, the export of {1}"),
    "part": _("its part (rows, sums, root, salt) or the path does not lead to the tree signed"),
    "no_root": _("it belongs to no root"),
    "twice": _("row {0} of root {1} was there before: it is twice, or out of order"),
    "row_owner": _("it is of {0}, the export of {1}"),
    "row": _("it, or its path, was edited or put in: it is not row {0} of root {1}"),
    "no_amount": _("an amount of it is no whole number of pico"),
    "item": _("{0} is nothing that is charged"),
    "product": _("{0}: {1} × {2} is {3}, not {4}"),
    "discount": _("{0}: {1} a unit is not its list price less its discount, which is {2}"),
    "total": _("its lines add up to {0}; it says {1}"),
    "granted": _("more of it is granted and uncollected than it costs"),
    "quantity": _("{0} {1} were used; {2} are charged"),
    "sum": _("its rows here add up to {0}; it says {1}"),
    "missing_one": _("row {0} of its {2} is not here"),
    "missing": _("rows {0} to {1} of its {2} is not here"),
    "missing_one_after": _("row {0} of its {2} is not here, after event {3}"),
    "missing_after": _("rows {0} to {1} of its {2} is not here, after event {3}"),
    "totals": _("it says {0} roots, {1} rows, {2}; here are {3} roots, {4} rows, {5}"),
    "last_day": _("the last root is of {0}; the export goes to {1}"),
}
