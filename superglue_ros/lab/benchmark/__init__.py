"""How long everything takes here, beside the hardware's floor and beside other implementations."""
