"""The modes, one module each; they know messages and sessions, never sockets."""
