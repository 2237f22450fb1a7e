"""What host.yaml says about approvals."""

from typing import Literal

from pydantic import Field, SecretStr

from host.config.document import StrictModel


class WebhookConfig(StrictModel):
    """Where approvals are announced; each message is signed."""

    url: str = Field(pattern=r"^(https://|http://(127\.|localhost|\[::1\])|\$\{)")
    """Where to post; anything but this machine needs https."""
    secret: SecretStr
    """Key of the signature: HMAC-SHA256 over time stamp, a dot and the body."""
    include_arguments: bool = False
    """Whether the message shows the arguments; they may hold secrets."""
    timeout: float = Field(default=10, gt=0, le=60)
    """Seconds for one attempt; there are three."""


class ApprovalsConfig(StrictModel):
    """How people are asked."""

    wait: float = Field(default=50, ge=0, le=3600)
    """Seconds for which a call waits for its answer; many clients give up after 60."""
    hold: float = Field(default=60, ge=0, le=86_400)
    """Seconds for which an agent's run that waits for its answer is kept in memory while nobody
    waits for the run; then it is let go, and goes on from its record when the answer comes."""
    expires: float = Field(default=3600, gt=0, le=7 * 86_400)
    """Seconds after which nobody's answer is a no."""
    resume: float = Field(default=900, gt=0, le=86_400)
    """Seconds in which an approved call has to be made, where its caller does not wait."""
    progress: float = Field(default=5, gt=0, le=60)
    """Seconds between progress notifications to a caller that waits."""
    elicitation: bool = True
    """Whether attended clients are asked in their own window."""
    page: Literal["needed", "always", "never"] = "needed"
    """When an attended client that shows pages gets a link to one: where a form would not do, as it
    shows none or the call is too long for one; always; or never."""
    desktop: bool = False
    """Whether a desktop notification says that an approval waits."""
    webhook: WebhookConfig | None = None
    """Whom else to tell; None is nobody."""
