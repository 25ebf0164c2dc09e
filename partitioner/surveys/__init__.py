"""What to repartition: tables, roles of their columns, options; and ready-made descriptions of known surveys."""
