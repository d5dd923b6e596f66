"""How far two environments lie apart, and the class of shift that follows."""
