"""What everyone is told: base load, price, limit, and the broadcast on its way to the zones."""

from abm.signals.broadcast import Broadcast, base_load
from abm.signals.channel import Channel
from abm.signals.heard import Heard
from abm.signals.outlook import Outlook

__all__ = ["Broadcast", "Channel", "Heard", "Outlook", "base_load"]
