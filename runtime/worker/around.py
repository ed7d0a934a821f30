"""What is done around jobs in one process of an appliance, beside the jobs themselves."""

from frozen.values import frozen
from runtime.home.webhook_key import webhook_key
from runtime.jobs.attempts.attempt import AttemptRunner
from runtime.jobs.bulk import BULK_NEWS, Bulk
from runtime.jobs.orders.quotas import Quotas
from runtime.jobs.questions import QUESTION_NEWS, Questions
from runtime.jobs.retention.collecting import Collector
from runtime.jobs.retention.retention import RETENTION_NEWS, Retention
from runtime.jobs.webhooks.deliveries import DELIVERY_NEWS, Deliveries
from runtime.jobs.webhooks.telling import Messenger
from runtime.queue.dispatch import Dispatch
from runtime.settings.settings import Settings
from runtime.worker.loops import Loop
from wheelhouse.judges.pool import Judges

SELDOM_S = 15.0
"""How often a loop looks for work of which it would have had news."""
RETENTION_S = 600.0
"""Between two cycles: what is kept for days need not go on the minute."""
QUOTAS_S = 60.0
QUESTIONS_S = 1.0
ENDS_S = 1.0
"""How soon an end is told: three looks into indexes that are empty where nobody waits."""


@frozen
class AroundJobs:
    """The stories around the job, and the loops that carry them on."""

    bulk: Bulk
    retention: Retention
    quotas: Quotas
    deliveries: Deliveries
    questions: Questions

    def loops(self) -> tuple[Loop, ...]:
        """Return the loops; one process of an appliance runs them, that which serves."""
        return (
            Loop(name="bulk", turn=self.bulk.turn, topic=BULK_NEWS, every_s=SELDOM_S),
            Loop(
                name="retention",
                turn=self.retention.turn,
                topic=RETENTION_NEWS,
                every_s=RETENTION_S,
            ),
            Loop(
                name="deliveries",
                turn=self.deliveries.turn,
                topic=DELIVERY_NEWS,
                every_s=ENDS_S,
            ),
            Loop(
                name="questions",
                turn=self.questions.turn,
                topic=QUESTION_NEWS,
                every_s=QUESTIONS_S,
            ),
            Loop(name="quotas", turn=self.quotas.turn, topic=RETENTION_NEWS, every_s=QUOTAS_S),
        )


def around_jobs(
    settings: Settings,
    *,
    runner: AttemptRunner,
    dispatch: Dispatch,
    judges: Judges,
) -> AroundJobs:
    """Return what is done around the jobs of an appliance, as its settings say."""
    store, clock = runner.store, runner.clock
    collector = Collector(store=store, blobs=runner.blobs, artifacts=runner.artifacts, clock=clock)
    return AroundJobs(
        bulk=Bulk(
            store=store,
            dispatch=dispatch,
            notifier=runner.notifier,
            cancellations=runner.cancellations,
            collector=collector,
            clock=clock,
            queue_limit=settings.queue_limit,
        ),
        retention=Retention(
            store=store,
            collector=collector,
            artifacts=runner.artifacts,
            notifier=runner.notifier,
            clock=clock,
            settings=settings.retention,
        ),
        quotas=Quotas(store=store, settings=settings.retention),
        deliveries=Deliveries(
            store=store,
            notifier=runner.notifier,
            messenger=Messenger(
                rules=settings.webhooks.rules(), ca_bundle=settings.webhooks.ca_bundle
            ),
            master=webhook_key(settings),
            clock=clock,
        ),
        questions=Questions(
            store=store,
            dispatch=dispatch,
            notifier=runner.notifier,
            judges=judges,
            clock=clock,
        ),
    )
