"""What everyone is told: base load, price, limit, and the hourly broadcast."""

from abm.signals.broadcast import Broadcast, base_load

__all__ = ["Broadcast", "base_load"]
