"""The data plane, one worker a process. Knows nothing about SQL, engines or the admin API."""
