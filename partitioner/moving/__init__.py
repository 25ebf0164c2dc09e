"""The stages that move rows: to scratch files by bucket, to their objects by id, into leaves."""
