"""What servers say of themselves: remembered at first sight, held back when it changes."""
