"""What deployments get from us after Prefect has deployed: forms with today's staff and reasons, the hour of the night."""

from __future__ import annotations

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.schedules import CronSchedule

from aftersales import forms, terms
from aftersales.terms import Terms
from aftersales.words import Process, Right

# the deployment that tells the cases of each process
STORIES = {Process.RETURNS: "returns/退货", Process.REVISIT: "revisit/二次回访", Process.VISITS: "visits/回访"}

# deployment → its form, and the right that its operator needs
FORMS: dict[str, tuple[type[forms.Form], Right]] = {
    STORIES[Process.RETURNS]: (forms.ReturnRequest, Right.APPLY),
    "arrivals/到件登记": (forms.ArrivalForm, Right.RECEIVE),
    "cancellation/取消售后单": (forms.CancelForm, Right.CANCEL),
    "extension/延期": (forms.ExtensionForm, Right.EXTEND),
    "account/收款账户登记": (forms.AccountEntryForm, Right.APPLY),
}

NIGHTLY = "followup/回访巡检"


async def refine(client: PrefectClient) -> None:
    """
    Give every deployment its Chinese form: drop-downs of those who may, and of the reasons in force (design §3).

    Without this the forms would still run, since the flows take any request and turn a misfilled one away.
    """
    rules = terms.load()
    reasons = {code: reason.label for code, reason in rules.returns.reasons.items()}
    for name, (form, right) in FORMS.items():
        options = {"operator": {person.id: person.choice for person in rules.who_may(right)}}
        if form is forms.ReturnRequest:
            options["reason"] = reasons
        deployment = await client.read_deployment_by_name(name)
        update = DeploymentUpdate(
            parameter_openapi_schema=forms.parameters(form, options=options), enforce_parameter_schema=True
        )
        await client.update_deployment(deployment.id, update)
    await _set_the_clock(client, rules)


async def _set_the_clock(client: PrefectClient, rules: Terms) -> None:
    """
    Let the nightly round come at its hour in the house's zone (NUM-219, P-01).

    Prefect's cron comes once on the 25-hour day; on the 23-hour day, when the hour may be jumped over, it comes once
    and up to an hour earlier: on the same day of the house, which is all that the round goes by.
    """
    deployment = await client.read_deployment_by_name(NIGHTLY)
    for schedule in deployment.schedules:
        await client.update_deployment_schedule(deployment.id, schedule.id, schedule=nightly(rules))


def nightly(rules: Terms) -> CronSchedule:
    """When the nightly round comes."""
    hour, minute = divmod(terms.minutes(rules.followup.at), 60)
    return CronSchedule(cron=f"{minute} {hour} * * *", timezone=rules.house.timezone)
