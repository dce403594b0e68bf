"""What everyone is told: base load, price, limit, and the hourly broadcast."""

from abm.signals.broadcast import Broadcast, base_load
from abm.signals.outlook import Outlook

__all__ = ["Broadcast", "Outlook", "base_load"]
