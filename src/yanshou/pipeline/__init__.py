"""One stage over several missions (`stage`): the part that Stage-A and Stage-B share."""
