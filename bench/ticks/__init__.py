"""Speed of the tick worker, beside a bare consume loop and a naive engine."""
