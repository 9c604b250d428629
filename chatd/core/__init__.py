"""What the services share: sessions, routing, send queues, presence, fan-out, timers."""
