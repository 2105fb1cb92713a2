"""
A form, the one builder of its JSON schema, and the one reader of its answers.

`schema` is what Prefect's UI draws and its server enforces; `read` checks the same rules again in Python, for an
answer may also come from the command line, from HTTP or from a server that was asked not to check.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from aftersales.forms.fields import Choice, Code, Kind, Money, Option, Options, Rows, StaffOption, Text, offer, seen
from aftersales.words import Named, Unable

F = TypeVar("F", bound="Form")

Raw = Any
"""The type of a flow's parameter that carries an answer: Prefect refuses nothing, `read` does, with a sentence."""

# Who decides, and what: a default would turn an empty answer into a decision.
NEVER_PREFILLED = frozenset({"operator", "decision", "result", "rest", "visit", "outcome"})

# Prefect's UI checks the *answer* as if it were a schema before it resumes a run (ui-v2, resume-flow-run-dialog.tsx,
# 3.8.8): an answer with a key `items` that is a list is "no valid schema", and the form can never be sent.
_KEYWORDS = frozenset(
    [
        "additionalProperties",
        "allOf",
        "anyOf",
        "const",
        "contains",
        "contentSchema",
        "default",
        "definitions",
        "dependencies",
        "dependentRequired",
        "dependentSchemas",
        "deprecated",
        "description",
        "else",
        "enum",
        "examples",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "if",
        "items",
        "maxContains",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minContains",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "multipleOf",
        "not",
        "oneOf",
        "pattern",
        "patternProperties",
        "prefixItems",
        "properties",
        "propertyNames",
        "readOnly",
        "required",
        "then",
        "title",
        "type",
        "unevaluatedItems",
        "unevaluatedProperties",
        "uniqueItems",
        "writeOnly",
    ]
)


class Misfilled(Unable):
    """An answer that cannot be taken; the sentence names every wrong field and what to write instead."""


def key(text: str) -> str:
    """
    Check the name of a gate: it becomes part of a run input's key (trap 6).

    Prefect takes lower-case letters, digits and dashes only, and says so after the run is suspended: any other name
    leaves a run that can never be resumed. Raises ValueError.
    """
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", text):
        raise ValueError(f"“{text}”不能作节点名：只能用小写字母、数字和短横线，如 review。")
    return text


@dataclass(frozen=True, slots=True)
class Needs:
    """A rule between two fields: where `when` says `says` (or, with "", says nothing), `field` must be filled."""

    when: str
    says: Named | str
    field: str


def fields(form: type[BaseModel]) -> Iterator[tuple[str, FieldInfo, Kind | Rows]]:
    """Walk over a form's fields in their order, with the kind of each."""
    for name, found in form.model_fields.items():
        kinds = [mark for mark in found.metadata if isinstance(mark, Kind | Rows)]
        if len(kinds) != 1:
            raise TypeError(f"{form.__name__}.{name} needs exactly one kind of field")
        yield name, found, kinds[0]


def row_of(found: FieldInfo) -> type[BaseModel]:
    """The model of a list's rows."""
    return get_args(found.annotation)[0]


class Row(BaseModel):
    """One row of a list in a form."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False, hide_input_in_errors=True)


class Form(BaseModel):
    """What people fill in. Subclasses name their Chinese title: `class CancelForm(Form, title="取消售后单")`."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False, hide_input_in_errors=True)

    title: ClassVar[str] = ""
    needs: ClassVar[tuple[Needs, ...]] = ()

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__()
        cls.title = cls.model_config.get("title") or ""
        for name, found, _ in fields(cls):
            if not found.title:
                raise ValueError(f"{cls.__name__}.{name} has no Chinese title")

    @model_validator(mode="after")
    def _needs_are_met(self) -> Form:
        for need in unmet(type(self), self.model_dump()):
            raise ValueError(need.field)
        return self


class GateForm(Form):
    """A form that a gate opens. `class ReviewForm(GateForm, name="review", title="审核")`; the name is checked here."""

    name: ClassVar[str] = ""

    gate: Annotated[str, Text(most=80, least=1)] = Field(title="受理环节", description="系统填写，请勿修改")
    operator: Annotated[str, StaffOption()] = Field(title="操作人", description="请选择您本人")

    def __init_subclass__(cls, *, name: str, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.name = key(name)


def free_text(form: type[BaseModel]) -> set[str]:
    """Name the fields in which people may write personal data (GEN-10)."""
    return {name for name, _, kind in fields(form) if isinstance(kind, Kind) and kind.free and name != "gate"}


def wire(form: type[BaseModel], name: str) -> str:
    """Name a field as a Resume form sends it: `items` travels as `items_`, nobody sees it."""
    return f"{name}_" if name in _KEYWORDS and issubclass(form, GateForm) else name


# --- drawing --------------------------------------------------------------------------------------------------------


def schema(
    form: type[Form],
    *,
    options: Options | None = None,
    prefill: Mapping[str, Any] | None = None,
    demands: Collection[str] = (),
    ref: str = "",
) -> dict[str, Any]:
    """
    Draw a form as the JSON schema that Prefect's UI shows and its server enforces.

    `options` fills the drop-downs that are known only now, `prefill` gives defaults (codes or shown values; titles and
    limits stay), `demands` names optional fields that must be filled this time, `ref` is the one allowed value of the
    field `gate`: a form left open from an earlier gate is refused.
    """
    options, prefill = options or {}, dict(prefill or {})
    _known(form, options, prefill)
    if ref:
        prefill["gate"] = ref
    drawn = _object(form, options, prefill)
    drawn["title"] = form.title
    if ref:
        drawn["properties"]["gate"] |= {"enum": [ref], "default": ref}
    for name, _, kind in fields(form):
        if name in demands:
            assert isinstance(kind, Text | Code | Money | Choice)
            field = drawn["properties"][wire(form, name)]
            field |= kind.demanded()
            field.pop("default", None)
            drawn["required"].append(wire(form, name))
    if form.needs:
        drawn["allOf"] = [_conditional(form, need) for need in form.needs]
    return drawn


def parameters(form: type[Form], *, name: str = "request", options: Options | None = None) -> dict[str, Any]:
    """Draw a form as the schema of a deployment whose flow takes the whole answer as one parameter."""
    drawn = schema(form, options=options)
    # The UI draws an object with `allOf` as one box per branch, so the rules stand outside of the parameter.
    rules = drawn.pop("allOf", [])
    whole: dict[str, Any] = {
        "title": "Parameters",
        "type": "object",
        "properties": {name: drawn | {"position": 1}},
        "required": [name],
        "additionalProperties": False,
        "definitions": {},
    }
    if rules:
        whole["allOf"] = [
            {side: {"properties": {name: part}, "required": [name]} for side, part in rule.items()} for rule in rules
        ]
    return whole


def _known(form: type[Form], options: Options, prefill: Mapping[str, Any]) -> None:
    """Refuse options and prefilled values of fields that do not exist: a mistake of ours, told at once."""
    names = {name for name, _, _ in fields(form)}
    inner = {n for _, found, kind in fields(form) if isinstance(kind, Rows) for n, _, _ in fields(row_of(found))}
    if unknown := (set(options) - names - inner) | (set(prefill) - names):
        raise ValueError(f"{form.__name__} has no field {', '.join(sorted(unknown))}")
    if decided := set(prefill) & NEVER_PREFILLED:
        raise ValueError(f"{', '.join(sorted(decided))} is decided by a person and never prefilled")


def _object(form: type[BaseModel], options: Options, prefill: Mapping[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for position, (name, found, kind) in enumerate(fields(form), start=1):
        if isinstance(kind, Rows):
            row = _object(row_of(found), options, {}) | {"title": found.title}
            drawn: dict[str, Any] = {"type": "array", "items": row, "maxItems": kind.most}
            if kind.least:
                drawn["minItems"] = kind.least
        else:
            drawn = kind.draw(offer(kind, options.get(name)))
        # position: PostgreSQL's JSONB keeps no order of keys
        drawn |= {"title": found.title, "description": _explain(form, name, found, kind), "position": position}
        shown = _default(found, kind, options, name, prefill)
        if shown is not None:
            drawn["default"] = shown
        properties[wire(form, name)] = drawn
    return {
        "type": "object",
        "properties": properties,
        "required": [wire(form, name) for name, found, _ in fields(form) if found.is_required()],
        "additionalProperties": False,
    }


def _default(found: FieldInfo, kind: Kind | Rows, options: Options, name: str, prefill: Mapping[str, Any]) -> Any:
    if name not in prefill:
        # A drop-down cannot be emptied, so what "nothing" is called must be one of its choices.
        if isinstance(kind, Choice) and not found.is_required():
            return kind.show(found.default)
        return (kind.unchanged or None) if isinstance(kind, Option) else None
    value = prefill[name]
    if isinstance(kind, Rows):
        return [_shown(row_of(found), row, options) for row in value]
    return kind.show(value, offer(kind, options.get(name)))


def _shown(row: type[BaseModel], values: Mapping[str, Any] | BaseModel, options: Options) -> dict[str, Any]:
    given = values.model_dump() if isinstance(values, BaseModel) else values
    shown = {
        name: kind.show(given[name], offer(kind, options.get(name)))
        for name, _, kind in fields(row)
        if name in given and isinstance(kind, Kind)
    }
    return {name: value for name, value in shown.items() if value is not None}


def _explain(form: type[BaseModel], name: str, found: FieldInfo, kind: Kind | Rows) -> str:
    """Say every rule of a field in Chinese (the server's own refusal is an English toast)."""
    parts = [found.description or ""]
    for need in getattr(form, "needs", ()):
        if need.field == name:
            when = form.model_fields[need.when].title
            parts.append(f"{when}选“{need.says.label}”时必填" if isinstance(need.says, Named) else f"{when}未填时必填")
    if name != "gate" and not (isinstance(kind, Kind) and kind.is_drop_down):
        parts.append(kind.rule)
    return "；".join(part for part in parts if part)


def _conditional(form: type[Form], need: Needs) -> dict[str, Any]:
    kind = next(kind for name, _, kind in fields(form) if name == need.field)
    assert isinstance(kind, Text | Code | Money | Choice)
    asked, told = wire(form, need.when), wire(form, need.field)
    if isinstance(need.says, Named):
        when: dict[str, Any] = {"properties": {asked: {"const": need.says.label}}, "required": [asked]}
    else:
        when = {"properties": {asked: {"pattern": r"^\s*$"}}}
    return {"if": when, "then": {"properties": {told: kind.demanded()}, "required": [told]}}


# --- reading --------------------------------------------------------------------------------------------------------


def read(form: type[F], answer: Any, *, options: Options | None = None, ref: str = "") -> F:
    """
    Read an answer: codes or shown values, from the UI, the command line or HTTP.

    `ref` is what the field `gate` must say. Raises Misfilled with one sentence that names every wrong field by its
    title and says what to write; it never repeats what was written, which may be personal data.
    """
    if isinstance(answer, BaseModel):
        answer = answer.model_dump()
    if not isinstance(answer, Mapping):
        raise Misfilled(f"{form.title}没有内容，请重新打开表单填写。")
    sent = {wire(form, name): name for name in form.model_fields}
    given = {sent.get(str(name), str(name)): value for name, value in answer.items() if value is not None}
    wrong: dict[str, str] = {}
    try:
        taken: F | None = form.model_validate(given, context={"options": options or {}})
    except ValidationError as error:
        taken = None
        for found in error.errors(include_input=False):
            # what concerns the whole is a need that is not met, told below, or a name that is no text
            if found["loc"] or found["type"] == "string_unicode":
                where, what = _tell(form, found)
                wrong.setdefault(where, what)
    for need in unmet(form, given):
        wrong.setdefault(form.model_fields[need.field].title or need.field, "必填")
    if ref and "gate" in given and given["gate"] != ref:
        wrong["受理环节"] = f"这张表单已过期，现在是 {ref}，请重新打开"
    if wrong or taken is None:
        told = "；".join(f"{where}：{what}" for where, what in wrong.items())
        raise Misfilled(f"{form.title}没有填对（{told}），请改正后重新提交。")
    return taken


def unmet(form: type[Form], given: Mapping[str, Any]) -> list[Needs]:
    """List the rules between fields that an answer breaks."""
    kinds = {name: kind for name, _, kind in fields(form)}
    broken = []
    for need in form.needs:
        said, filled = given.get(need.when), given.get(need.field)
        says = (need.says.value, need.says.label) if isinstance(need.says, Named) else ("",)
        is_said = (seen(said) if isinstance(said, str) else said or "") in says
        if isinstance(filled, str):
            filled = "" if seen(filled) == getattr(kinds.get(need.field), "unchanged", "") else seen(filled)
        if is_said and need.field in kinds and not filled and filled != 0:
            broken.append(need)
    return broken


def _tell(form: type[Form], found: Any) -> tuple[str, str]:
    """Say where an answer is wrong, by titles, and what to write."""
    model: type[BaseModel] = form
    where = ""
    last = None
    for step in found["loc"]:
        if isinstance(step, int):
            where += f"第{step + 1}行"
            continue
        if (last := model.model_fields.get(str(step))) is None:
            break
        where += last.title or str(step)
        if any(isinstance(mark, Rows) for mark in last.metadata):
            model = row_of(last)
    match found["type"]:
        case "missing":
            kind = next(mark for mark in last.metadata if isinstance(mark, Kind | Rows)) if last else None
            return where, f"必填，{kind.rule}" if kind else "必填"
        case "extra_forbidden" | "string_unicode":
            names = "、".join(f.title or n for n, f, _ in fields(model))
            return (where or form.title), f"有多余的项目，只能填写：{names}"
        case "value_error":
            return where, str(found["ctx"]["error"])
        case _:
            return where, "填写的格式不对，请重新填写"
