"""Boards, and a core that tests itself on one."""
