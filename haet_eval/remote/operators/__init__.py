"""Which operators a submission may call, and with which arguments. No torch in here."""
