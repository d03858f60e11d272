"""Operations that rules share: predict, sample, error, trace, update. Each is a small kernel on a unit's arrays."""
