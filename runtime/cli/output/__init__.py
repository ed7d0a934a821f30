"""What commands print: text or JSON, jobs and events, faults that an appliance answered."""
