"""An invoice in words: what its pages call things, in the languages it can be written in.

Law: pure words; amounts are the document's own strings, at most grouped, never computed with.
"""

from arkwright.domain.invoice_document import Document, Line, Locale

_EN = {
    "invoice": "Invoice", "statement": "Invoice (paid from balance)", "number": "Number", "issued": "Issued",
    "due": "Due", "period": "Period", "from": "From", "to": "Bill to", "tax_id": "Tax id", "description": "Description",
    "quantity": "Quantity", "unit_price": "Unit price", "exact": "Exact amount", "amount": "Amount",
    "net": "Net", "total": "Total", "tax": "Tax", "tax_included": "of which tax",
    "pay": "How to pay", "currency": "Currency", "page": "Page {page} of {pages}",
    "paid": "Paid from the prepaid balance; nothing is due.",
    "rounding": "Amounts are exact until the sum is rounded once, half to even; lines share the rounded sum out.",
    "per_million": "{price} / 1M", "discount": "{percent} % off {price}", "lot": "covered by {lot}",
    "rerating": "{subject}: price correction", "credit": "Paid by credits", "uncollected": "Not collected",
}  # fmt: skip
_ZH = {
    "invoice": "账单", "statement": "账单（余额已付）", "number": "编号", "issued": "开具日期", "due": "付款期限",
    "period": "账期", "from": "开票方", "to": "客户", "tax_id": "税号", "description": "项目", "quantity": "数量",
    "unit_price": "单价", "exact": "精确金额", "amount": "金额", "net": "不含税金额", "total": "合计",
    "tax": "税额", "tax_included": "其中税额", "pay": "付款方式", "currency": "币种",
    "page": "第 {page} 页，共 {pages} 页", "paid": "已从预付余额扣除，无需付款。",
    "rounding": "各项金额保持精确，合计仅按四舍六入五成双取整一次，再分摊到各行。",
    "per_million": "{price} / 百万", "discount": "原价 {price}，优惠 {percent}%", "lot": "由 {lot} 抵扣",
    "rerating": "{subject}：价格更正", "credit": "代金抵扣", "uncollected": "未收取",
}  # fmt: skip
LABELS: dict[Locale, dict[str, str]] = {"en": _EN, "zh_CN": _ZH}
_ITEMS_EN = {
    "input": "input", "cached_input": "cached input", "cache_write": "cache write", "output": "output",
    "reasoning": "reasoning",
}  # fmt: skip
_ITEMS_ZH = {
    "input": "输入", "cached_input": "缓存命中输入", "cache_write": "缓存写入", "output": "输出", "reasoning": "推理",
    "explicit_cached_input": "显式缓存输入", "cache_write_1h": "缓存写入（1 小时）", "image_input": "图像输入",
    "audio_input": "音频输入", "video_input": "视频输入", "image_output": "图像输出", "audio_output": "音频输出",
    "video_output": "视频输出", "image": "图片", "character": "字符", "audio_input_time": "音频输入时长",
    "audio_output_time": "音频输出时长", "video_output_time": "视频输出时长", "web_search": "联网搜索",
    "file_search": "文件检索", "code_call": "代码执行", "tool_call": "工具调用", "cache_storage": "缓存存储",
}  # fmt: skip
_UNITS_EN = {"token": "tokens", "image": "images", "character": "characters", "ms": "ms", "call": "calls",
             "token-hour": "token-hours"}  # fmt: skip
_UNITS_ZH = {
    "token": "tokens",
    "image": "张",
    "character": "字符",
    "ms": "毫秒",
    "call": "次",
    "token-hour": "token·小时",
}


def title(made: Document) -> str:
    return LABELS[made.locale]["statement" if made.billing == "prepaid" else "invoice"]


def described(line: Line, locale: Locale) -> str:
    """What a line is of: the model and what was used of it, under which rule, by which lot."""
    words = LABELS[locale]
    if line.kind in ("credit", "uncollected"):
        return words[line.kind]
    if line.kind == "rerating":
        return words["rerating"].format(subject=line.subject)
    if line.kind == "service":
        return line.subject
    names = _ITEMS_ZH if locale == "zh_CN" else _ITEMS_EN
    said = [f"{line.subject} · {names.get(line.item, line.item.replace('_', ' '))}"]
    if line.rule:
        said.append(f"({line.rule})")
    if line.lot:
        said.append(f"· {words['lot'].format(lot=line.lot)}")
    return " ".join(said)


def quantity(line: Line, locale: Locale) -> str:
    units = _UNITS_ZH if locale == "zh_CN" else _UNITS_EN
    return f"{grouped(line.quantity)} {units.get(line.unit, '')}".strip() if line.quantity else ""


def unit_price(line: Line, locale: Locale) -> str:
    """With the discount that is in it."""
    if not line.unit_price:
        return ""
    words = LABELS[locale]
    price = words["per_million"].format(price=line.unit_price) if line.per > 1 else line.unit_price
    if not line.discount_bp or line.lot:
        return price
    percent = f"{line.discount_bp // 100}.{line.discount_bp % 100:02d}".rstrip("0").rstrip(".")
    return f"{price} ({words['discount'].format(percent=percent, price=line.list_price)})"


def tax(made: Document) -> str:
    """Such as `VAT 6 %`, as it is owed on top or was within the price."""
    rate = f"{made.tax_rate_bp // 100}.{made.tax_rate_bp % 100:02d}".rstrip("0").rstrip(".")
    words = LABELS[made.locale]
    name = made.tax_name or words["tax"]
    return f"{words['tax_included'] + ': ' if made.billing == 'prepaid' else ''}{name} {rate} %"


def grouped(amount: str) -> str:
    """`1234567.50` → `1,234,567.50`."""
    sign, digits = ("-", amount[1:]) if amount.startswith("-") else ("", amount)
    whole, dot, fraction = digits.partition(".")
    return f"{sign}{int(whole):,}{dot}{fraction}"
