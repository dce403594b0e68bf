"""What everyone is told: base load, price, limit, and the broadcast on its way to the zones."""

from abm.signals.broadcast import Broadcast, Channel, Inbox, base_load
from abm.signals.forecast import Outlook

__all__ = ["Broadcast", "Channel", "Inbox", "Outlook", "base_load"]
