"""The messages and enums of the contract, one module for each building block."""
