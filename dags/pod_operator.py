"""Airflow's pod operator, which also returns a result if a retry finds the last try's pod finished."""

from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator


class PodOperator(KubernetesPodOperator):
    """Keeps what :meth:`trigger_reentry` returns, which the provider's ``execute`` drops (version 10.25)."""

    _result: Any = None

    def trigger_reentry(self, context: Any, event: dict[str, Any]) -> Any:
        """Resume the task when its pod has news."""
        self._result = super().trigger_reentry(context, event)
        return self._result

    def execute(self, context: Any) -> Any:
        """Start the pod and leave it to the triggerer, or return the result of the one that has finished."""
        super().execute(context)
        return self._result
