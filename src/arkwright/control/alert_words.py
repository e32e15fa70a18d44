"""An alert in words, for people who read mail: subject and text, in the languages there are.

Law: pure words; amounts are exact decimal strings, as the books have them. Nothing in a mail tracks who reads it.
"""

from typing import Any

from arkwright.domain.alerts import AlertKind

_EN: dict[AlertKind, tuple[str, str]] = {
    "balance": (
        "Balance of {owner} is below {threshold} {currency}",
        "The prepaid balance of {owner} is {value} {currency}. It fell below {threshold} {currency}.",
    ),
    "spend_day": (
        "{owner} spent {threshold} {currency} today",
        "{owner} spent {value} {currency} on {period} (UTC). The threshold is {threshold} {currency}.",
    ),
    "spend_month": (
        "{owner} spent {threshold} {currency} this month",
        "{owner} spent {value} {currency} in {period} (UTC). The threshold is {threshold} {currency}.",
    ),
    "forecast": (
        "{owner} is likely to spend {threshold} {currency} or more this month",
        "By the end of {period}, {owner} is likely to have spent {value} {currency}. The threshold is {threshold}"
        " {currency}. It is a forecast: the remaining hours as the last weeks were.",
    ),
    "budget_day": (
        "{owner} used {threshold} % of its daily budget",
        "{owner} used {value} % of its budget for {period} (UTC). The threshold is {threshold} %.",
    ),
    "budget_month": (
        "{owner} used {threshold} % of its monthly budget",
        "{owner} used {value} % of its budget for {period} (UTC). The threshold is {threshold} %.",
    ),
}
_ZH: dict[AlertKind, tuple[str, str]] = {
    "balance": (
        "{owner} 的余额低于 {threshold} {currency}",
        "{owner} 的预付余额为 {value} {currency}，已低于 {threshold} {currency}。",
    ),
    "spend_day": (
        "{owner} 今日消费已达 {threshold} {currency}",
        "{owner} 在 {period}（UTC）已消费 {value} {currency}，告警阈值为 {threshold} {currency}。",
    ),
    "spend_month": (
        "{owner} 本月消费已达 {threshold} {currency}",
        "{owner} 在 {period}（UTC）已消费 {value} {currency}，告警阈值为 {threshold} {currency}。",
    ),
    "forecast": (
        "{owner} 本月预计消费将达到 {threshold} {currency}",
        "到 {period} 月末，{owner} 预计消费 {value} {currency}，告警阈值为 {threshold} {currency}。"
        "此为预测值：按最近几周的用量推算本月剩余时间。",
    ),
    "budget_day": (
        "{owner} 日预算已用 {threshold}%",
        "{owner} 在 {period}（UTC）已使用日预算的 {value}%，告警阈值为 {threshold}%。",
    ),
    "budget_month": (
        "{owner} 月预算已用 {threshold}%",
        "{owner} 在 {period}（UTC）已使用月预算的 {value}%，告警阈值为 {threshold}%。",
    ),
}
_FRAMES = {
    "en": (
        "[Arkwright] {subject}",
        "[Arkwright] Test of the alert {alert}",
        "{text}\n\nAlert: {alert}\nRead at: {at}\nMessage: {id}\n\n"
        "You are told once for each crossing, and again only after it has been well back.",
        "This is a test. The alert {alert} reaches this address.\n\nMessage: {id}",
    ),
    "zh_CN": (
        "[Arkwright] {subject}",
        "[Arkwright] 告警“{alert}”测试",
        "{text}\n\n告警：{alert}\n读取时间：{at}\n消息编号：{id}\n\n每次越过阈值只通知一次；数值明显回落后才会再次通知。",
        "这是一条测试消息，告警“{alert}”可以送达此地址。\n\n消息编号：{id}",
    ),
}
_PLATFORM = {"en": "The platform", "zh_CN": "平台"}


def mail_of(content: dict[str, Any], message_id: str) -> tuple[str, str]:
    """Subject and text of what a message holds."""
    locale = "zh_CN" if content["locale"] == "zh_CN" else "en"
    subject_frame, test_subject, frame, test = _FRAMES[locale]
    if content["test"]:
        return test_subject.format(**content), test.format(**content, id=message_id) + "\n"
    told = content | {"owner": content["organization"] or _PLATFORM[locale]}
    subject, text = (_ZH if locale == "zh_CN" else _EN)[content["kind"]]
    said = subject_frame.format(subject=subject.format(**told))
    return said, frame.format(**told | {"text": text.format(**told), "id": message_id}) + "\n"
