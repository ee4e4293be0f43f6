DROP TABLE meta.shortened_days;
