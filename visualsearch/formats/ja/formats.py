"""How Japanese pages write numbers and dates, where Django leaves it open."""

#: Django's own formats name a separator but no groups, so that 4,900 would be 4900.
NUMBER_GROUPING = 3
DATETIME_FORMAT = "Y年n月j日 G:i"
