"""Where units run and how the coordinator reaches them: in-process, in threads, or as Ray actors."""
