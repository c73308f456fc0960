"""The tools over connected systems: functions of an Asker and of their arguments, which return an answer."""
