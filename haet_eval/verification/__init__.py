"""What is known of a record: what holds, what differs, what nothing checks, and one word for it all."""
