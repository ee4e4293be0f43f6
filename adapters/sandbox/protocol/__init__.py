"""Operations for workers, and the meaning of their replies and of their ends."""
