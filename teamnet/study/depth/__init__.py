"""``teamnet depth``: what teams of one to six hidden layers learn by each rule."""
